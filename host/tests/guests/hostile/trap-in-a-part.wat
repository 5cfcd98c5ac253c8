;; Calls a component inside itself, which traps.
;; fails: trap
;; <imports>
(component $inner
  (core module $core (func (export "trap") unreachable))
  (core instance $core (instantiate $core))
  (func (export "trap") (canon lift (core func $core "trap"))))
(instance $inner (instantiate $inner))
(core func $trap (canon lower (func $inner "trap")))
(core instance $part (export "trap" (func $trap)))
;; <with>
(with "part" (instance $part))
;; <core>
(import "part" "trap" (func $trap))
;; <handle>
(call $trap)
