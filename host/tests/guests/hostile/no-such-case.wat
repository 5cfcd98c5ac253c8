;; Answers with neither success nor failure.
;; fails: trap
;; <handle>
(i32.store (i32.const 256) (i32.const 7))
(return (i32.const 256))
