;; Answers with 2 MiB.
;; fails: output-limit
;; <handle>
(drop (memory.grow (i32.const 64)))
(return (call $answer (i32.const 65536) (i32.const 2097152)))
