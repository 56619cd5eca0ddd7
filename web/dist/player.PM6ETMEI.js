import{t as a}from"./core.5U55M35S.js";export{a as LecternPlayer};
