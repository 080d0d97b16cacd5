;; The guest of the examples in the documentation: answers with the bytes that it was given. By hand, so that they need no guest toolchain.
(component
  (import "airssys:actor/types@0.1.0" (instance $types
    (type $delivery-type (variant (case "send") (case "call" u64) (case "publish" string) (case "timer" u64)))
    (export "delivery" (type $delivery (eq $delivery-type)))
    (type $message-type (record
      (field "id" u64)
      (field "sender" (option string))
      (field "key" (option string))
      (field "delivery" $delivery)
      (field "attempt" u32)
      (field "body" (list u8))))
    (export "message" (type (eq $message-type)))
    (type $fault-type (variant
      (case "invalid" string) (case "refused" string) (case "unavailable" string) (case "internal" string)))
    (export "fault" (type (eq $fault-type)))))
  (alias export $types "message" (type $message))
  (alias export $types "fault" (type $fault))

  (core module $echo
    (memory (export "memory") 1)
    ;; The first bytes are for the answer.
    (global $free (mut i32) (i32.const 16))
    (func (export "realloc") (param $old i32) (param $old-size i32) (param $align i32) (param $size i32) (result i32)
      ;; Where the memory ends, the store of the host traps.
      (global.set $free
        (i32.and (i32.add (global.get $free) (i32.sub (local.get $align) (i32.const 1)))
                 (i32.sub (i32.const 0) (local.get $align))))
      (global.get $free)
      (global.set $free (i32.add (global.get $free) (local.get $size))))
    (func (export "handle")
      (param $id i64) (param (;sender;) i32 i32 i32) (param (;key;) i32 i32 i32) (param (;delivery;) i32 i64 i32)
      (param $attempt i32) (param $body i32) (param $size i32) (result i32)
      ;; ok(some(body)); the memory is free again for the next message.
      (i32.store (i32.const 0) (i32.const 0))
      (i32.store (i32.const 4) (i32.const 1))
      (i32.store (i32.const 8) (local.get $body))
      (i32.store (i32.const 12) (local.get $size))
      (global.set $free (i32.const 16))
      (i32.const 0)))

  (core instance $echo (instantiate $echo))
  (func $handle (param "msg" $message) (result (result (option (list u8)) (error $fault)))
    (canon lift (core func $echo "handle") (memory $echo "memory") (realloc (func $echo "realloc"))))
  (instance $handler (export "handle" (func $handle)))
  (export "airssys:actor/handler@0.1.0" (instance $handler)))
