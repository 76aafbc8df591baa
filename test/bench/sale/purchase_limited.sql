-- (h) The extension, with an id and a limit per buyer.
\set id :step * random(:lo, :hi)
\set sale random(1, 1000000000000000000)
\set buyer random(1, 1000000)
SELECT purchase(:id::bigint, 1, 'scarce', sale_id => :sale::bigint::text, buyer => :buyer::bigint::text);
\set sold :sold + 1
