;; Takes memory until it gets no more, half of it in a second memory.
;; fails: memory-limit
;; <core>
(memory $second 1)
;; <handle>
(loop $again
  (drop (memory.grow $second (i32.const 16)))
  (br_if $again (i32.ne (memory.grow (i32.const 16)) (i32.const -1))))
unreachable
