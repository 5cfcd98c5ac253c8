;; Asks for timers and gives none back.
;; fails: handle-limit
;; <imports>
(import "wasi:io/poll@0.2.0" (instance $poll
  (export "pollable" (type $pollable (sub resource)))
  (export "[method]pollable.block" (func (param "self" (borrow $pollable))))))
(alias export $poll "pollable" (type $pollable))
(import "wasi:clocks/monotonic-clock@0.2.0" (instance $clock
  (alias outer 1 $pollable (type $of-poll))
  (export "pollable" (type $pollable (eq $of-poll)))
  (export "subscribe-duration" (func (param "when" u64) (result (own $pollable))))))
(core func $timer (canon lower (func $clock "subscribe-duration")))
(core func $block (canon lower (func $poll "[method]pollable.block")))
(core instance $host (export "timer" (func $timer)) (export "block" (func $block)))
;; <with>
(with "host" (instance $host))
;; <core>
(import "host" "timer" (func $timer (param i64) (result i32)))
(import "host" "block" (func $block (param i32)))
;; <handle>
(loop $again
  (drop (call $timer (i64.const 86400000000000)))
  (br $again))
