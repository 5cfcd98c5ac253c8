;; A module that is no component.
;; refused: plugin-invalid
(module)
