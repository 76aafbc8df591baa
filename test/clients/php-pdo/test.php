<?php

declare(strict_types=1);

require_once 'shop.php';

const PEN = 1;
const LAMP = 2;
const CHAIR = 3;
const DESK = 4;
const TICKET = 5;
const INK = 6;
const NOTHING = 99;
const FRONT = '5ea70000-0000-4000-8000-000000000001';

$count = $failed = 0;

function test(string $name, callable $body): void
{
    global $shop, $count, $failed;

    $not = '';
    $shop->reset();
    try {
        $body();
    } catch (Throwable $e) {
        echo preg_replace('/^/m', '# ', (string) $e), "\n";
        $failed++;
        $not = 'not ';
    }
    $count++;
    echo "{$not}ok {$count} - {$name}\n";
}

function same(mixed $got, mixed $expected): void
{
    if ($got !== $expected) {
        throw new LogicException(
            var_export($got, true) . ' is not ' . var_export($expected, true)
        );
    }
}

/** The class of the shop's error, if there is one. */
function failure(callable $selling): ?string
{
    try {
        $selling();
    } catch (SaleError $e) {
        return $e::class;
    }

    return null;
}

/**
 * The library's own exception is the previous one. It hands on the code, and
 * message and detail in one text, but neither table nor column.
 */
function failsAs(string $class, int $product, int $quantity, array $told): void
{
    global $shop;

    try {
        $shop->sell($product, $quantity);
        throw new LogicException('it was sold');
    } catch (SaleError $e) {
        same($e::class, $class);
        same($e::RETRYABLE, $class === ProductBusyError::class);
        $cause = $e->getPrevious();
        same($cause::class, PDOException::class);
        same($cause->getCode(), $told[0]);
        same($cause->errorInfo[0], $told[0]);
        $lines = explode("\n", $cause->errorInfo[2]);
        same($lines[0], 'ERROR:  ' . $told[1]);
        same($lines[1], 'DETAIL:  ' . $told[2]);
    }
}

function stock(int $product): int
{
    global $shop;

    return $shop->trySell($product, 1000000)['remaining'];
}

$shop = new Shop();
$libpq = (new PDO('pgsql:'))->getAttribute(PDO::ATTR_CLIENT_VERSION);
echo '# version: PDO of PHP ', PHP_VERSION, ", libpq {$libpq}\n";

test('sells by bigint key', function () use ($shop): void {
    same($shop->sell(PEN, 3), 97);
    same($shop->sell(PEN, 1), 96);
});

test('sells by uuid key', function () use ($shop): void {
    same($shop->sellSeat(FRONT, 2), 98);
});

test('sells a cart', function () use ($shop): void {
    $lines = $shop->sellCart([
        ['product_id' => INK, 'qty' => 1],
        ['product_id' => PEN, 'qty' => 2],
        ['product_id' => INK, 'qty' => 3],
    ]);
    same($lines, [
        ['product_id' => PEN, 'qty' => 2, 'remaining' => 98],
        ['product_id' => INK, 'qty' => 4, 'remaining' => 96],
    ]);
});

test('says why not without raising', function () use ($shop): void {
    $shop->transaction(function () use ($shop): void {
        same(
            $shop->trySell(CHAIR, 1),
            ['outcome' => 'out_of_stock', 'remaining' => 0]
        );
        same(
            $shop->trySell(NOTHING, 1),
            ['outcome' => 'product_not_found', 'remaining' => null]
        );
        same($shop->trySell(PEN, 1), ['outcome' => 'sold', 'remaining' => 99]);
    });
    same(stock(PEN), 99);
});

test('rolls back sale and order line together', function () use ($shop): void {
    try {
        $shop->order(PEN, 2, fn () => throw new DomainException('not paid'));
    } catch (DomainException $e) {
        same($e->getMessage(), 'not paid');
    }
    same([stock(PEN), $shop->orderLines()], [100, 0]);
    $shop->order(PEN, 2, fn () => null);
    same([stock(PEN), $shop->orderLines()], [98, 1]);
});

test('product not found', fn () => failsAs(ProductNotFoundError::class, NOTHING, 1, [
    'SK001',
    'product 99 not found',
    'Key (id)=(99) is not present in table "shop_product".',
]));

test('out of stock', fn () => failsAs(OutOfStockError::class, CHAIR, 1, [
    'SK002',
    'product 3 is out of stock',
    'Product 3 has 0 in stock, 1 was requested.',
]));

test('insufficient quantity', fn () => failsAs(InsufficientQuantityError::class, DESK, 3, [
    'SK003',
    'not enough stock of product 4',
    'Product 4 has 2 in stock, 3 were requested.',
]));

test('busy', function (): void {
    $other = new Shop();
    $other->transaction(function () use ($other): void {
        $other->sell(LAMP, 1);
        failsAs(ProductBusyError::class, LAMP, 1, [
            '55P03',
            'product 2 is busy',
            'Another transaction holds a lock on the row of product 2.',
        ]);
    });
});

test('two buyers of the last unit', function () use ($shop): void {
    $other = new Shop();
    $buy = fn () => $shop->sell(LAMP, 1);
    $other->transaction(function () use ($other, $buy): void {
        $other->sell(LAMP, 1);
        same(failure($buy), ProductBusyError::class);
    });
    same(failure($buy), OutOfStockError::class);
    same(stock(LAMP), 0);
});

test('twenty buyers of ten units', function () use ($shop): void {
    $buyers = [];
    for ($i = 0; $i < 20; $i++) {
        $buyers[] = proc_open([PHP_BINARY, 'buyer.php', (string) TICKET], [], $pipes);
    }
    $results = array_count_values(array_map('proc_close', $buyers));
    ksort($results);
    same($results, [0 => 10, 1 => 10]);
    same([stock(TICKET), $shop->orderLines()], [0, 10]);
});

/** A transaction that orders the next of these each time it is run. */
function attempts(array ...$orders): callable
{
    return function () use (&$orders): void {
        global $shop, $tries;

        $tries++;
        [$product, $quantity] = array_shift($orders);
        $shop->order($product, $quantity, fn () => null);
    };
}

test('retries a busy product', function () use ($shop): void {
    global $tries;

    $tries = 0;
    $other = new PDO('pgsql:');
    $other->beginTransaction();
    $other->query('SELECT purchase(1, 1)');
    $attempt = attempts([PEN, 1], [PEN, 1]);
    SaleError::retrying(function () use ($other, $attempt): void {
        global $tries;

        if ($tries > 0) {
            $other->commit();
        }
        $attempt();
    });
    same([$tries, stock(PEN), $shop->orderLines()], [2, 98, 1]);
});

test('retries conflicts', function () use ($shop): void {
    global $tries;

    $tries = 0;
    SaleError::retrying(attempts([PEN, 41], [PEN, 42], [PEN, 1]));
    same([$tries, stock(PEN), $shop->orderLines()], [3, 99, 1]);
});

test('retries nothing else', function (): void {
    global $tries;

    foreach (
        [
            [[NOTHING, 1], ProductNotFoundError::class],
            [[CHAIR, 1], OutOfStockError::class],
            [[DESK, 3], InsufficientQuantityError::class],
            [[PEN, 43], PDOException::class],
        ] as [$order, $class]
    ) {
        $tries = 0;
        try {
            SaleError::retrying(attempts($order, $order));
            throw new LogicException('it was sold');
        } catch (RuntimeException $e) {
            same([$e::class, $tries], [$class, 1]);
        }
    }
});

test('gives up', function (): void {
    global $tries;

    $tries = 0;
    $other = new Shop();
    $other->transaction(function () use ($other): void {
        $other->sell(PEN, 1);
        $attempt = attempts(...array_fill(0, 4, [PEN, 1]));
        same(failure(fn () => SaleError::retrying($attempt, 3)), ProductBusyError::class);
    });
    same($tries, 3);
});

test('tells buyers a text of its own', function (): void {
    foreach (
        [
            [[NOTHING, 1], 'There is no such product.'],
            [[CHAIR, 1], 'It is sold out.'],
            [[DESK, 3], 'There are not so many left.'],
            [[PEN, 41], 'Your order met another. Try again.'],
        ] as [$order, $text]
    ) {
        try {
            SaleError::retrying(attempts($order), 1);
            throw new LogicException('it was sold');
        } catch (SaleError $e) {
            same($e->getMessage(), $text);
        }
    }
});

test('waits if the connection says so', fn () => same(Shop::patient()->lockWait(), '2s'));

echo "1..{$count}\n";
exit($failed ? 1 : 0);
