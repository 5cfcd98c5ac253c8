;; Calls itself for ever.
;; fails: stack-limit
;; <core>
(func $deeper (param i32) (result i32) (i32.add (i32.const 1) (call $deeper (local.get 0))))
;; <handle>
(drop (call $deeper (i32.const 0)))
