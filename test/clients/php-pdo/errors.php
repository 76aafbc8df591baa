<?php

declare(strict_types=1);

/** What a shop wants to tell apart when a sale fails. */
abstract class SaleError extends RuntimeException
{
    public const RETRYABLE = false;

    private const BY_SQLSTATE = [
        'SK001' => ProductNotFoundError::class,
        'SK002' => OutOfStockError::class,
        'SK003' => InsufficientQuantityError::class,
        '55P03' => ProductBusyError::class,
    ];

    /** The shop's error for PDO's, which stays its previous one. */
    public static function from(PDOException $e): Throwable
    {
        $class = self::BY_SQLSTATE[$e->getCode()] ?? null;

        return $class ? new $class($e->errorInfo[2], 0, $e) : $e;
    }

    /** Repeats a whole transaction while it fails for a reason that passes. */
    public static function retrying(callable $attempt): mixed
    {
        for (;;) {
            try {
                return $attempt();
            } catch (SaleError $e) {
                if (!$e::RETRYABLE) {
                    throw $e;
                }
                usleep(random_int(0, 20000));
            }
        }
    }
}

final class ProductNotFoundError extends SaleError
{
}

final class OutOfStockError extends SaleError
{
}

final class InsufficientQuantityError extends SaleError
{
}

final class ProductBusyError extends SaleError
{
    public const RETRYABLE = true;
}
