;; Answers with 12 MiB, more than the host copies out of a guest at all.
;; fails: hostcall-limit
;; <handle>
(drop (memory.grow (i32.const 256)))
(return (call $answer (i32.const 65536) (i32.const 12582912)))
