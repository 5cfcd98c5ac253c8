;; A component of another world.
;; refused: plugin-contract
(component)
