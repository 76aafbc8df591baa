require_relative 'shop'
require_relative '../ruby/contract'

def with_shop
  connection = PG.connect
  yield Shop.new(connection)
ensure
  connection&.close
end

FIELDS = lambda do |error|
  [PG::PG_DIAG_SQLSTATE, PG::PG_DIAG_MESSAGE_PRIMARY,
   PG::PG_DIAG_MESSAGE_DETAIL, PG::PG_DIAG_TABLE_NAME,
   PG::PG_DIAG_COLUMN_NAME].map { |field| error.result.error_field(field) }
end

Contract.new("pg #{PG::VERSION}", method(:with_shop), FIELDS,
             Hash.new(PG::ServerError).merge('55P03' => PG::LockNotAvailable)) do
  # The call comes first: from then on the setting is the extension's own.
  test 'waits if the connection says so' do
    same(Shop.patient.lock_wait, '2s')
  end
end
