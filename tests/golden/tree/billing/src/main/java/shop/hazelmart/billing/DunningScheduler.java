package shop.hazelmart.billing;

import java.util.List;
import java.util.function.BiConsumer;

/** Reminds customers who have not paid, first kindly, then less so. */
public final class DunningScheduler {
    private static final int[] STAGES = {14, 28, 42};

    private final InvoiceService invoices;
    private final BiConsumer<Invoice, Integer> sendLetter;

    public DunningScheduler(InvoiceService invoices, BiConsumer<Invoice, Integer> sendLetter) {
        this.invoices = invoices;
        this.sendLetter = sendLetter;
    }

    public int runDaily() {
        int letters = 0;
        for (int level = STAGES.length; level >= 1; level--) {
            List<Invoice> late = invoices.overdue(STAGES[level - 1]);
            for (Invoice invoice : late) {
                sendLetter.accept(invoice, level);
                letters++;
            }
        }
        return letters;
    }

    // Calcule les intérêts de retard : taux légal, au prorata des jours écoulés.
    public static long lateInterest(long cents, int daysLate, int basisPoints) {
        return cents * basisPoints * daysLate / 365 / 10_000;
    }
}
