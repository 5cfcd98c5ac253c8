;; Loops for ever in `describe`.
;; refused: plugin-start
;; <describe>
(loop $again (br $again))
