/* SPDX-License-Identifier: MIT */
/* The figures under the pointer, out of the table that the page has anyway. Without this script nothing is missing but the shortcut. */
"use strict";
(function () {
	var plots = document.querySelectorAll("svg.time-plot"), table = document.getElementById("seconds"), tip = document.createElement("div");
	var heads = table.tHead.rows[0].cells, rows = table.tBodies[0].rows, shown = 0;

	function hide() {
		tip.hidden = true;
		plots.forEach(function (plot) {
			plot.querySelector(".cursor").setAttribute("visibility", "hidden");
		});
	}

	function add(parent, name, text) {
		parent.appendChild(document.createElement(name)).textContent = text;
	}

	function show(idx, at_x, at_y) {
		shown = Math.max(0, Math.min(idx, rows.length - 1));
		var cells = rows[shown].cells, step = Number(plots[0].dataset.step), end = Number(plots[0].dataset.end);
		tip.textContent = "";
		add(tip, "b", cells[0].textContent + " s");
		for (var i = 1; i !== cells.length; i++) {
			if (cells[i].textContent === "" || cells[i].textContent === "0")
				continue;
			var line = tip.appendChild(document.createElement("span"));
			add(line, "i", heads[i].textContent);
			add(line, "span", cells[i].textContent);
		}
		plots.forEach(function (plot) {
			var x = Number(plot.dataset.left) + Number(plot.dataset.width) * (shown + 0.5) * step / end, cursor = plot.querySelector(".cursor");
			cursor.setAttribute("transform", "translate(" + x + " 0)");
			cursor.setAttribute("visibility", "visible");
		});
		tip.hidden = false;
		tip.style.left = (at_x + 24 + tip.offsetWidth > window.innerWidth ? at_x - 24 - tip.offsetWidth : at_x + 24) + "px";
		tip.style.top = Math.max(8, Math.min(at_y - 20, window.innerHeight - tip.offsetHeight - 8)) + "px";
	}

	tip.className = "tip";
	tip.hidden = true;
	document.body.appendChild(tip);
	plots.forEach(function (plot) {
		plot.addEventListener("pointermove", function (event) {
			var box = plot.getBoundingClientRect(), x = (event.clientX - box.left) / box.width * plot.viewBox.baseVal.width;
			var share = (x - Number(plot.dataset.left)) / Number(plot.dataset.width);
			if (share >= 0 ? share > 1 : true)
				hide();
			else
				show(Math.floor(share * Number(plot.dataset.end) / Number(plot.dataset.step)), event.clientX, event.clientY);
		});
		plot.addEventListener("pointerleave", hide);
		plot.addEventListener("blur", hide);
		plot.addEventListener("keydown", function (event) {
			var by = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10 }[event.key], box = plot.getBoundingClientRect();
			if (!by)
				return;
			event.preventDefault();
			show(shown + by, box.left + box.width / 2, Math.max(80, box.top + 80));
		});
	});
})();
