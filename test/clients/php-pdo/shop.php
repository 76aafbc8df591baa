<?php

declare(strict_types=1);

require_once 'errors.php';

/** Sells with PHP's PDO. */
final class Shop
{
    private PDO $pdo;

    public function __construct(string $dsn = 'pgsql:')
    {
        // What is not given is taken from the environment: PGHOST and so on.
        $this->pdo = new PDO($dsn, options: [
            PDO::ATTR_DEFAULT_FETCH_MODE => PDO::FETCH_ASSOC,
        ]);
    }

    /** Its sales wait for a busy product. */
    public static function patient(): self
    {
        return new self("pgsql:options='-c purchase.lock_wait=2s'");
    }

    /** Returns what remains. */
    public function sell(int $productId, int $quantity): int
    {
        return $this->call('SELECT purchase(?, ?)', [$productId, $quantity])
            ->fetchColumn();
    }

    public function sellSeat(string $seatId, int $quantity): int
    {
        $sql = "SELECT purchase(?, ?, 'shop_seat')";

        return $this->call($sql, [$seatId, $quantity])->fetchColumn();
    }

    /**
     * All lines or none. PDO has no arrays: they are given in PostgreSQL's
     * notation.
     */
    public function sellCart(array $lines): array
    {
        $array = fn (string $field): string =>
            '{' . implode(',', array_map('intval', array_column($lines, $field))) . '}';
        $sql = 'SELECT * FROM purchase_cart(?::bigint[], ?)';

        return $this->call($sql, [$array('product_id'), $array('qty')])
            ->fetchAll();
    }

    public function trySell(int $productId, int $quantity): array
    {
        $sql = 'SELECT * FROM purchase_try(?, ?)';

        return $this->call($sql, [$productId, $quantity])->fetch();
    }

    /** The sale, the order line and the payment, or nothing. */
    public function order(int $productId, int $quantity, callable $pay): void
    {
        $this->transaction(function () use ($productId, $quantity, $pay): void {
            $this->sell($productId, $quantity);
            $sql = 'INSERT INTO shop_order_line (product_id, quantity) VALUES (?, ?)';
            $this->call($sql, [$productId, $quantity]);
            $pay();
        });
    }

    public function transaction(callable $work): void
    {
        $this->pdo->beginTransaction();
        try {
            $work();
            $this->pdo->commit();
        } catch (Throwable $e) {
            // COMMIT can fail, too: then there is nothing to roll back.
            if ($this->pdo->inTransaction()) {
                $this->pdo->rollBack();
            }
            throw $e instanceof PDOException ? SaleError::from($e) : $e;
        }
    }

    public function orderLines(): int
    {
        return $this->call('SELECT count(*) FROM shop_order_line')->fetchColumn();
    }

    /** The call comes first: from then on the setting is the extension's own. */
    public function lockWait(): string
    {
        $sql = "SELECT purchase(1, 1), current_setting('purchase.lock_wait')";

        return $this->call($sql)->fetchColumn(1);
    }

    public function reset(): void
    {
        $this->call('SELECT shop_reset()');
    }

    private function call(string $sql, array $parameters = []): PDOStatement
    {
        try {
            $statement = $this->pdo->prepare($sql);
            $statement->execute($parameters);

            return $statement;
        } catch (PDOException $e) {
            throw SaleError::from($e);
        }
    }
}
