;; Answers with bytes that are no UTF-8.
;; fails: trap
;; <core>
(data (i32.const 512) "\ff\fe\fd")
;; <handle>
(return (call $answer (i32.const 512) (i32.const 3)))
