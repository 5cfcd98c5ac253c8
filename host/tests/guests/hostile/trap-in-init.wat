;; Traps in `init`.
;; refused: plugin-start
;; <init>
unreachable
