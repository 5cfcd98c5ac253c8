;; Traps while it is being made.
;; refused: plugin-start
;; <core>
(func $born unreachable)
(start $born)
