;; Traps.
;; fails: trap
;; <handle>
unreachable
