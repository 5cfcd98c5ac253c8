;; Ends itself, and says that all is well.
;; fails: exited
;; <imports>
(import "wasi:cli/exit@0.2.0" (instance $exit (export "exit" (func (param "status" (result))))))
(core func $exit (canon lower (func $exit "exit")))
(core instance $host (export "exit" (func $exit)))
;; <with>
(with "host" (instance $host))
;; <core>
(import "host" "exit" (func $exit (param i32)))
;; <handle>
(call $exit (i32.const 0))
