;; Answers with what is no JSON.
;; fails: invalid-output
;; <handle>
(return (call $answer (i32.const 96) (i32.const 7)))
