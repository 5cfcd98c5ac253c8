;; What every hostile guest is put into: a plugin that answers each task with `{}`. A guest's own file replaces parts of it.
(component
  ;; <imports>
  (core module $own
    (memory (export "memory") 1)
    ;; Whatever the host hands over lies at the same place: nobody here looks at it.
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 4096))
    ;; The descriptor: name, version, task types, extensions, each as address and length.
    (data (i32.const 32)
      "\60\00\00\00\07\00\00\00" "\68\00\00\00\05\00\00\00" "\40\00\00\00\01\00\00\00" "\70\00\00\00\0d\00\00\00")
    ;; Its one task type: name, summary, schema.
    (data (i32.const 64)
      "\60\00\00\00\07\00\00\00" "\60\00\00\00\07\00\00\00" "\80\00\00\00\02\00\00\00")
    (data (i32.const 96) "hostile" "\00" "1.0.0" "\00\00\00" "{\22version\22:1}" "\00\00\00" "{}"))
  (core instance $own (instantiate $own))
  ;; <lowered>
  (core module $code
    (import "own" "memory" (memory 1))
    ;; <core>
    ;; An answer whose data lies there.
    (func $answer (param $address i32) (param $length i32) (result i32)
      (i32.store (i32.const 256) (i32.const 0))
      (i32.store (i32.const 264) (local.get $address))
      (i32.store (i32.const 268) (local.get $length))
      (i32.store (i32.const 272) (i32.const 128))
      (i32.store (i32.const 276) (i32.const 2))
      (i32.const 256))
    (func $describe (export "describe") (result i32)
      ;; <describe>
      (i32.const 32))
    ;; `ok`: sixteen zeros.
    (func $init (export "init") (result i32)
      ;; <init>
      (i32.const 0))
    (func $handle (export "handle")
      (param i32 i32 i32 i32 i64 i32 i32 i32 i64 i64 i32 i32 i32) (result i32)
      ;; <handle>
      (call $answer (i32.const 128) (i32.const 2))))
  (core instance $code (instantiate $code
    (with "own" (instance $own))
    ;; <with>
  ))

  (type $task-type-record
    (record (field "name" string) (field "summary" string) (field "params-schema" string)))
  (export $task-type "task-type" (type $task-type-record))
  (type $descriptor-record
    (record (field "name" string) (field "version" string) (field "task-types" (list $task-type))
      (field "extensions" string)))
  (export $descriptor "descriptor" (type $descriptor-record))
  (type $task-record
    (record (field "id" string) (field "task-type" string) (field "user-id" s64) (field "params" string)
      (field "attempt" u32) (field "time-left-ms" u64) (field "seed" u64)
      (field "traceparent" (option string))))
  (export $task "task" (type $task-record))
  (type $output-record (record (field "data" string) (field "metadata" string)))
  (export $output "output" (type $output-record))
  (type $retry-record (record (field "reason" string) (field "after-ms" (option u64))))
  (export $retry "retry" (type $retry-record))
  (type $failure-variant
    (variant (case "invalid" string) (case "not-found" string) (case "retry" $retry) (case "fatal" string)))
  (export $failure "failure" (type $failure-variant))

  (func (export "describe") (result $descriptor)
    (canon lift (core func $code "describe") (memory $own "memory") (realloc (func $own "realloc"))))
  (func (export "init") (result (result (error string)))
    (canon lift (core func $code "init") (memory $own "memory") (realloc (func $own "realloc"))))
  (func (export "handle") (param "task" $task) (result (result $output (error $failure)))
    (canon lift (core func $code "handle") (memory $own "memory") (realloc (func $own "realloc")))))
