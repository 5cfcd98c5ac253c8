;; Loops for ever in `init`.
;; refused: plugin-start
;; <init>
(loop $again (br $again))
