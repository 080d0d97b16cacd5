;; Asks another component what something costs.
(component
  (import "acme:shop/pricing" (instance $pricing
    (export "price" (func (param "qty" u32) (result u32)))))
  (alias export $pricing "price" (func $price))
  (core func $lowered (canon lower (func $price)))
  (core module $m
    (import "pricing" "price" (func $price (param i32) (result i32)))
    (func (export "pay") (param i32) (result i32) (call $price (local.get 0))))
  (core instance $i (instantiate $m (with "pricing" (instance (export "price" (func $lowered))))))
  (func (export "pay") (param "qty" u32) (result u32) (canon lift (core func $i "pay"))))
