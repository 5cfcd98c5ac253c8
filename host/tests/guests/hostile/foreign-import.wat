;; Wants what no host of ours has.
;; refused: plugin-contract
;; <imports>
(import "evil:corp/shell@1.0.0" (instance (export "run" (func (param "line" string)))))
