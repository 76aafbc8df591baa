# Sells with Ruby's pg.
require 'pg'
require_relative '../ruby/errors'

class Shop
  # The type maps send and fetch Ruby's integers and arrays as what they are.
  def initialize(connection)
    connection.type_map_for_queries = PG::BasicTypeMapForQueries.new(connection)
    connection.type_map_for_results = PG::BasicTypeMapForResults.new(connection)
    connection.field_name_type = :symbol
    @connection = connection
  end

  # Its sales wait for a busy product.
  def self.patient
    new(PG.connect(options: '-c purchase.lock_wait=2s'))
  end

  # Returns what remains.
  def sell(product_id, quantity)
    call('SELECT purchase($1, $2) AS remaining',
         [product_id, quantity]).first[:remaining]
  end

  def sell_seat(seat_id, quantity)
    call("SELECT purchase($1, $2, 'shop_seat') AS remaining",
         [seat_id, quantity]).first[:remaining]
  end

  # All lines or none.
  def sell_cart(lines)
    call('SELECT * FROM purchase_cart($1, $2)', lines.transpose).to_a
  end

  def try_sell(product_id, quantity)
    call('SELECT * FROM purchase_try($1, $2)', [product_id, quantity]).first
  end

  # The sale, the order line and what the block does, or nothing.
  def order(product_id, quantity)
    transaction do
      sell(product_id, quantity)
      call('INSERT INTO shop_order_line (product_id, quantity) VALUES ($1, $2)',
           [product_id, quantity])
      yield
    end
  end

  # COMMIT can fail, too.
  def transaction(&work)
    translating { @connection.transaction(&work) }
  end

  def order_lines
    call('SELECT count(*) FROM shop_order_line').first[:count]
  end

  def lock_wait
    call("SELECT purchase(1, 1), current_setting('purchase.lock_wait') AS setting")
      .first[:setting]
  end

  def reset
    call('SELECT shop_reset()')
  end

  private

  def call(sql, params = [])
    translating { @connection.exec_params(sql, params) }
  end

  # 55P03 arrives as PG::LockNotAvailable, SK001 to SK003 as PG::ServerError.
  def translating
    yield
  rescue PG::ServerError => e
    raise SALE_ERRORS.fetch(e.result.error_field(PG::PG_DIAG_SQLSTATE), e)
  end
end
