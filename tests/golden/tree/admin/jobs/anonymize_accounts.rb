# frozen_string_literal: true

require "digest"

module Admin
  # Removes what identifies a person from accounts that were closed long enough ago.
  # The order figures stay, since the books need them.
  class AnonymizeAccounts
    GRACE_DAYS = 30

    def initialize(db, clock: Time)
      @db = db
      @clock = clock
    end

    def run(dry_run: false)
      victims = closed_accounts
      victims.each { |account| scrub(account) } unless dry_run
      victims.size
    end

    private

    def closed_accounts
      limit = @clock.now - GRACE_DAYS * 86_400
      @db.execute("SELECT id, email FROM accounts WHERE status = 'closed' AND closed_at < ?", [limit.to_i])
    end

    def scrub(account)
      token = Digest::SHA256.hexdigest("#{account['id']}:#{account['email']}")[0, 12]
      @db.execute(
        "UPDATE accounts SET email = ?, username = ?, phone = NULL, password_hash = '' WHERE id = ?",
        ["gone-#{token}@invalid", "gone-#{token}", account["id"]]
      )
      @db.execute("DELETE FROM addresses WHERE account_id = ?", [account["id"]])
    end
  end
end
