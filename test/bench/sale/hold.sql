-- (h) The extension, which holds and does not sell.
\set id :step * random(:lo, :hi)
\set sale random(1, 1000000000000000000)
SELECT purchase(:id::bigint, 1, 'seat', sale_id => :sale::bigint::text, hold_for => '15 min');
\set sold :sold + 1
