;; Gives an address outside its memory as its answer's own.
;; fails: trap
;; <handle>
(return (i32.const -8))
