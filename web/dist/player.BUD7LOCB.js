import{t as a}from"./core.NO7LC253.js";export{a as LecternPlayer};
