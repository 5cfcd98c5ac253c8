;; Wants more memory at its birth than it may have.
;; refused: plugin-start
;; <core>
(memory $second 1536)
