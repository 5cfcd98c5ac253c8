;; Writes a log line of 12 MiB.
;; fails: hostcall-limit
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
;; <handle>
(drop (memory.grow (i32.const 256)))
(call $write (i32.const 2) (i32.const 65536) (i32.const 12582912))
