;; Wants the network without a grant.
;; refused: capability-not-granted
;; <imports>
(import "wasi:http/types@0.2.0" (instance (export "fields" (type (sub resource)))))
