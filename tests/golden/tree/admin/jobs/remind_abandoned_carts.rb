# frozen_string_literal: true

module Admin
  # Writes to people who filled a basket and left.
  class RemindAbandonedCarts
    MAX_REMINDERS = 2

    def initialize(carts, mailer)
      @carts = carts
      @mailer = mailer
    end

    def run
      eligible.each do |cart|
        @mailer.send_template(cart[:email], "forgotten_basket", titles: cart[:titles].first(3))
        cart[:reminders] += 1
      end
    end

    def eligible
      @carts.select { |cart| cart[:email] && cart[:reminders] < MAX_REMINDERS && !cart[:opted_out] }
    end
  end
end
