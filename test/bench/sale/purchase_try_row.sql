-- (h) The extension, saying why not, as one value of two fields. For sold out
-- products: it takes every answer for a refusal.
\set id :step * random(:lo, :hi)
SELECT purchase_try(:id::bigint, 1);
\set refused :refused + 1
