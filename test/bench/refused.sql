SELECT * FROM purchase_try(0, 1);
