;; Makes a table larger until it gets no more.
;; fails: table-limit
;; <core>
(table $entries 1 funcref)
;; <handle>
(loop $again
  (br_if $again (i32.ne (table.grow $entries (ref.null func) (i32.const 1000)) (i32.const -1))))
unreachable
