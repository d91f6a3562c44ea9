// The storefront before web/ replaced it. Loaded by two landing pages only.
var Hazel = window.Hazel || {};

Hazel.debounce = function (fn, wait) {
  var timer;
  return function () {
    var self = this;
    var args = arguments;
    clearTimeout(timer);
    timer = setTimeout(function () {
      fn.apply(self, args);
    }, wait);
  };
};

Hazel.formatPrice = function (cents) {
  return (cents / 100).toFixed(2).replace(".", ",") + " €";
};

Hazel.checkEmail = function (value) {
  return /^\S+@\S+$/.test(value);
};

function addToBasket(sku, amount) {
  var basket = JSON.parse(document.cookie.replace(/.*basket=([^;]*).*/, "$1") || "{}");
  basket[sku] = (basket[sku] || 0) + amount;
  document.cookie = "basket=" + JSON.stringify(basket) + ";path=/";
}

document.addEventListener("keyup", Hazel.debounce(function (event) {
  if (event.target.id === "q") {
    document.getElementById("live").textContent = event.target.value;
  }
}, 250));
