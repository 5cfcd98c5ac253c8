;; Makes things of its own and lets none go.
;; fails: handle-limit
;; <imports>
(type $thing (resource (rep i32)))
(core func $new (canon resource.new $thing))
(core instance $host (export "new" (func $new)))
;; <with>
(with "host" (instance $host))
;; <core>
(import "host" "new" (func $new (param i32) (result i32)))
;; <handle>
(loop $again
  (drop (call $new (i32.const 1)))
  (br $again))
