package shop.hazelmart.billing;

import java.util.HashMap;
import java.util.Map;

/** Numbers without gaps, as the tax office wants them, starting again at 1 each year. */
public final class InvoiceNumbers {
    private final Map<Integer, Integer> last = new HashMap<>();

    public synchronized String next(int year) {
        int number = last.merge(year, 1, Integer::sum);
        return "HZ-%d-%06d".formatted(year, number);
    }
}
