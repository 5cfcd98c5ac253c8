;; Loops for ever.
;; fails: cpu-limit
;; <handle>
(loop $again (br $again))
