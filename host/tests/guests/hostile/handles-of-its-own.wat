;; Makes 1,000 things of its own, lets none go, and answers.
;; fails: handle-limit
;; <imports>
(type $thing (resource (rep i32)))
(core func $new (canon resource.new $thing))
(core instance $host (export "new" (func $new)))
;; <with>
(with "host" (instance $host))
;; <core>
(import "host" "new" (func $new (param i32) (result i32)))
(global $things (mut i32) (i32.const 1000))
;; <handle>
(loop $again
  (drop (call $new (i32.const 1)))
  (global.set $things (i32.sub (global.get $things) (i32.const 1)))
  (br_if $again (global.get $things)))
