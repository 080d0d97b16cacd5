;; What something costs: an interface that another component imports.
(component
  (core module $m
    (func (export "price") (param i32) (result i32) (i32.mul (local.get 0) (i32.const 25))))
  (core instance $i (instantiate $m))
  (func $price (param "qty" u32) (result u32) (canon lift (core func $i "price")))
  (instance $pricing (export "price" (func $price)))
  (export "acme:shop/pricing" (instance $pricing)))
