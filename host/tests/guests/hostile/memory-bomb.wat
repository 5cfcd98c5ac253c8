;; Takes memory and fills it until it gets no more, and then goes on without.
;; fails: memory-limit
;; <handle>
(local $page i32)
(loop $again
  (local.set $page (memory.grow (i32.const 16)))
  (if (i32.ne (local.get $page) (i32.const -1))
    (then
      (memory.fill (i32.shl (local.get $page) (i32.const 16)) (i32.const 1) (i32.const 1048576))
      (br $again))))
unreachable
