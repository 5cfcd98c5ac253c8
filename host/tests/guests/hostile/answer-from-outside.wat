;; Says that its answer lies outside its memory.
;; fails: trap
;; <handle>
(return (call $answer (i32.const 65530) (i32.const 65530)))
