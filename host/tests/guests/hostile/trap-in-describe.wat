;; Traps in `describe`.
;; refused: plugin-start
;; <describe>
unreachable
