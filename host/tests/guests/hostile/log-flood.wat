;; Writes 20,000 log lines, and answers.
;; answers: log-limit
;; <imports>
(import "freefans:plugin/log@1.0.0" (instance $log
  (type $level-enum (enum "trace" "debug" "info" "warn" "error"))
  (export "level" (type $level (eq $level-enum)))
  (export "write" (func (param "level" $level) (param "message" string)))))
;; <lowered>
(core func $write (canon lower (func $log "write") (memory $own "memory")))
(core instance $host (export "write" (func $write)))
;; <with>
(with "host" (instance $host))
;; <core>
(import "host" "write" (func $write (param i32 i32 i32)))
(global $lines (mut i32) (i32.const 20000))
;; <handle>
(loop $again
  (call $write (i32.const 2) (i32.const 96) (i32.const 7))
  (global.set $lines (i32.sub (global.get $lines) (i32.const 1)))
  (br_if $again (global.get $lines)))
