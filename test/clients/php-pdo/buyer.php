<?php

// Buys one of a product, with patience; 0 means that it was sold, 1 that it is
// out of stock.
declare(strict_types=1);

require_once 'shop.php';

$product = (int) $argv[1];
try {
    $shop = new Shop();
    SaleError::retrying(fn () => $shop->order($product, 1, fn () => null), 1000);
    exit(0);
} catch (OutOfStockError) {
    exit(1);
}
