-- (h) The extension: hold, and when it is paid, confirm.
\set id :step * random(:lo, :hi)
\set sale random(1, 1000000000000000000)
SELECT purchase(:id::bigint, 1, 'seat', sale_id => :sale::bigint::text, hold_for => '15 min');
SELECT purchase_confirm(:sale::bigint::text, 'seat');
\set sold :sold + 1
