-- (h) The extension, with an id.
\set id :step * random(:lo, :hi)
\set sale random(1, 1000000000000000000)
SELECT purchase(:id::bigint, 1, 'seat', sale_id => :sale::bigint::text);
\set sold :sold + 1
