<?php

declare(strict_types=1);

/**
 * What a shop wants to tell apart when a sale fails. The message is for the buyer.
 * What the server says names tables: it stays in PDO's exception, the previous one.
 */
abstract class SaleError extends RuntimeException
{
    public const RETRYABLE = false;
    public const TEXT = '';

    private const BY_SQLSTATE = [
        'SK001' => ProductNotFoundError::class,
        'SK002' => OutOfStockError::class,
        'SK003' => InsufficientQuantityError::class,
        '55P03' => ProductBusyError::class,
        '40001' => ConflictError::class,    // serialization failure
        '40P01' => ConflictError::class,    // deadlock
    ];

    /** The shop's error for PDO's, if it has one. */
    public static function from(PDOException $e): Throwable
    {
        $class = self::BY_SQLSTATE[$e->getCode()] ?? null;

        return $class ? new $class($class::TEXT, 0, $e) : $e;
    }

    /** Runs a whole transaction, and again while it fails for what passes. */
    public static function retrying(callable $attempt, int $tries = 10): mixed
    {
        for ($delay = 10000;; $delay = min(2 * $delay, 100000)) {
            try {
                return $attempt();
            } catch (SaleError $e) {
                if (!$e::RETRYABLE || --$tries <= 0) {
                    throw $e;
                }
            }
            usleep(random_int(0, $delay));
        }
    }
}

final class ProductNotFoundError extends SaleError
{
    public const TEXT = 'There is no such product.';
}

final class OutOfStockError extends SaleError
{
    public const TEXT = 'It is sold out.';
}

final class InsufficientQuantityError extends SaleError
{
    public const TEXT = 'There are not so many left.';
}

final class ProductBusyError extends SaleError
{
    public const RETRYABLE = true;
    public const TEXT = 'Somebody else is buying it. Try again.';
}

final class ConflictError extends SaleError
{
    public const RETRYABLE = true;
    public const TEXT = 'Your order met another. Try again.';
}
